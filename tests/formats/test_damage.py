"""Files of every format are untrusted: damaged or malicious ones are refused in one line."""

import io
import json
import os
import pickle
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr
from array_files import compressed_npz, csv, fixed_lists, npz, parquet, safe, zarr_array
from hypothesis import given, settings
from hypothesis import strategies as st
from npy_header import header

from fastloss.formats.errors import FileError
from fastloss.formats.registry import open_array

ARRAY = np.arange(12, dtype="f4").reshape(4, 3)
GOOD = header(shape="(4, 3)") + ARRAY.tobytes()


def refused(name: str | Path) -> str:
    """Hold a file to being refused, when it is opened or read, in one line that begins with it."""
    path = str(name)
    with pytest.raises(FileError) as caught, open_array(path) as source:
        source.read_all()
    message = str(caught.value)
    assert message.startswith(path.split(":")[0])
    assert message.isprintable()
    return message


def files_of(place: Path) -> list[Path]:
    return sorted(place.rglob("*")) if place.is_dir() else [place]


@pytest.mark.parametrize("write", [npz, compressed_npz, safe, parquet, csv, zarr_array])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, write, data
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    name = write(folder, ARRAY)
    (place,) = folder.iterdir()
    files = [path for path in files_of(place) if path.is_file()]
    path = files[data.draw(st.integers(0, len(files) - 1))]
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    refusal = str(place)
    try:
        with open_array(name) as source:
            if source.nbytes < 1 << 20 or write is not zarr_array:  # missing chunks are legal
                assert source.nbytes < 1 << 20
                assert source.read_all().nbytes == source.nbytes
    except FileError as error:
        refusal = str(error)
    assert refusal.startswith(str(place))
    assert refusal.isprintable()


@pytest.mark.parametrize("suffix", ["npz", "safetensors", "parquet", "csv"])
def test_no_regular_file(tmp_path: Path, suffix: str) -> None:
    os.mkfifo(tmp_path / f"pipe.{suffix}")  # opening one would wait for ever
    (tmp_path / f"folder.{suffix}").mkdir()
    assert "not a regular file" in refused(tmp_path / f"pipe.{suffix}")
    assert "not a regular file" in refused(tmp_path / f"folder.{suffix}")
    assert "No such file" in refused(tmp_path / f"gone.{suffix}")
    (tmp_path / f"empty.{suffix}").write_bytes(b"")
    assert f"not a readable .{suffix} file" in refused(tmp_path / f"empty.{suffix}")


def test_a_message_does_not_repeat_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(header(shape=repr(5000 * "?")))
    message = refused(path)
    assert len(message) < len(str(path)) + 250
    assert "shape is not valid" in message


def test_names_that_are_not_there(tmp_path: Path) -> None:
    for write, word in ((npz, "x"), (safe, "x"), (parquet, "x"), (csv, "2")):
        name = write(tmp_path, ARRAY).split(":")[0]
        message = refused(f"{name}:nope")
        assert "'nope'" in message
        assert repr(word) in message
        if write is not csv:  # all columns
            message = refused(name)
            assert "as in" in message
            assert repr(word) in message
    zarr_array(tmp_path, ARRAY)
    assert "is an array itself" in refused(f"{tmp_path / 'a.zarr'}:x")
    group = zarr.open_group(tmp_path / "g.zarr", mode="w")
    for name in ("a/b", "c"):
        group.create_array(name, shape=(2,), dtype="f4")
    assert "as in" in refused(tmp_path / "g.zarr")
    assert "has no array 'a', but 'a/b', 'c'" in refused(f"{tmp_path / 'g.zarr'}:a")
    assert "has no array '../a'" in refused(f"{tmp_path / 'g.zarr'}:../a")


def test_names_and_values_that_a_terminal_would_obey(tmp_path: Path) -> None:
    name = "\x1b[31m\nx"
    pq.write_table(pa.table({name: ["a"]}), tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("p\n\x1b[31m\n")
    refused(tmp_path / "a.csv")
    (tmp_path / "a.safetensors").write_bytes(tensors({name: entry(shape=(5,))}))
    refused(tmp_path / "a.safetensors")
    refused(f"{tmp_path / 'a.safetensors'}:y")
    refused(archive(tmp_path / "a.npz", (f"{name}.npy", GOOD[:-1])))


def test_unknown_suffixes(tmp_path: Path) -> None:
    for name in ("a.txt", "a", "a.npy.gz"):
        (tmp_path / name).write_bytes(GOOD)
        assert "the suffix must be one of .npy, .npz, .safetensors" in refused(tmp_path / name)
    assert "No such file" in refused(tmp_path / "gone.txt")
    assert "not a regular file" in refused(tmp_path)


@pytest.mark.parametrize(
    ("suffix", "module", "extra"),
    [("parquet", "pyarrow", "parquet"), ("csv", "pyarrow", "csv"), ("zarr", "zarr", "zarr")],
)
def test_missing_packages(tmp_path: Path, monkeypatch, suffix, module, extra) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == module]:
        monkeypatch.setitem(sys.modules, name, None)
    message = refused(tmp_path / f"a.{suffix}")
    remedy = f"pip install {module} (fastloss's extra {extra})"
    assert f"needs the package {module}: {remedy}" in message


# .npz


def archive(path: Path, *members: tuple[str, bytes], compression: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (GOOD[:-1], "takes 48 bytes, the file holds 47"),
        (GOOD + b"x", "takes 48 bytes, the file holds 49"),
        (header(shape="(1000000, 1000000)") + bytes(48), "takes 4,000,000,000,000 bytes"),
        (header("'|O'") + pickle.dumps(print), "dtype must be"),
        (header("[('a', '|O')]") + bytes(48), "dtype must be"),
        (b"PK\x03\x04" + bytes(99), "not a readable .npy file"),
        (pickle.dumps({}), "not a readable .npy file"),
        (b"", "not a readable .npy file"),
    ],
)
def test_members_that_lie(tmp_path: Path, content: bytes, words: str, compression: int) -> None:
    path = archive(tmp_path / "a.npz", ("x.npy", content), compression=compression)
    assert words in refused(path)


def test_archives_that_lie(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    for compression in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        archive(path, ("x.npy", GOOD), compression=compression)
        assert "compression is none that NumPy writes" in refused(path)
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive(path, ("x.npy", GOOD), ("x.npy", GOOD))
    assert "has 2 arrays 'x'" in refused(f"{path}:x")
    archive(path, ("x.npz", GOOD), ("x.pkl", GOOD))
    assert "holds no array" in refused(path)
    good = archive(path, ("x.npy", GOOD)).read_bytes()
    central = good.index(b"PK\x01\x02")
    for offset, field, value, words in [
        (central + 20, "<I", 1 << 31, "claims"),  # bytes in the archive
        (central + 24, "<I", 1 << 31, "claims"),  # bytes of the member
        (central + 42, "<I", 7, ""),  # where it begins
        (central + 8, "<H", 1, "encrypted"),
        (26, "<H", 65535, "claims"),  # the length of its name before the data
    ]:
        damaged = bytearray(good)
        struct.pack_into(field, damaged, offset, value)
        path.write_bytes(damaged)
        assert words in refused(path)


def test_a_bomb_is_decompressed_in_pieces_or_refused(tmp_path: Path) -> None:
    content = header(shape="(40000000,)", descr="'|u1'") + bytes(40_000_000)
    path = archive(tmp_path / "a.npz", ("x.npy", content), compression=zipfile.ZIP_DEFLATED)
    with open_array(str(path)) as source:
        assert not source[(slice(39_999_000, 40_000_000),)].any()
        assert source._piece.nbytes <= 1 << 22  # type: ignore[attr-defined]
    damaged = bytearray(path.read_bytes())
    central = damaged.index(b"PK\x01\x02")
    struct.pack_into("<I", damaged, central + 24, 4_000_000_000)
    path.write_bytes(damaged)
    assert "bytes cannot be 4,000,000,000 when decompressed" in refused(path)


def test_checksum_of_a_compressed_member(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random(1000)
    np.savez_compressed(tmp_path / "a.npz", x=noise)
    damaged = bytearray((tmp_path / "a.npz").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "a.npz").write_bytes(damaged)
    assert "a.npz:x: not a readable .npy file" in refused(tmp_path / "a.npz")


# .safetensors


def tensors(entries: object, data: bytes = ARRAY.tobytes(), text: str | None = None) -> bytes:
    content = (json.dumps(entries) if text is None else text).encode()
    return struct.pack("<Q", len(content)) + content + data


def entry(dtype: object = "F32", shape: object = (4, 3), offsets: object = (0, 48)) -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x00" * 7, "header claims"),
        (struct.pack("<Q", 1 << 63) + b"{}", "header claims 9,223,372,036,854,775,808 bytes"),
        (struct.pack("<Q", 3) + b"{}", "header claims 3 bytes, the file holds 2"),
        (tensors({}, b"", " {}"), "does not begin with {"),
        (tensors({}, b"", "[]"), "does not begin with {"),
        (tensors({}, b"", "{"), "not a readable .safetensors"),
        (tensors({}, b"", '{"x":' + "[" * 100_000), "not a readable .safetensors"),
        (tensors({}, text='{"x": %s, "x": %s}' % (2 * (json.dumps(entry()),))), "a name twice"),
        (tensors({"x": entry(offsets=(0, 47))}), "tensors take 47 bytes, the file holds 48"),
        (tensors({"x": entry()}, bytes(49)), "tensors take 48 bytes, the file holds 49"),
        (tensors({"x": entry()}, bytes(47)), "tensors take 48 bytes, the file holds 47"),
        (tensors({"x": entry(offsets=(1, 48))}), "begins at 1, not at 0"),
        (tensors({"x": entry(), "y": entry(offsets=(24, 48))}), "begins at 24, not at 48"),
        (tensors({"x": entry(offsets=(48, 0))}), "offsets 48 ... 0"),
        (tensors({"x": entry(offsets=(0, 48, 48))}), "is not described by"),
        (tensors({"x": entry(offsets=(False, 48))}), "is not described by"),
        (tensors({"x": entry(offsets=(0, 48.0))}), "is not described by"),
        (tensors({"x": entry(shape=(-4, -3))}), "is not described by"),
        (tensors({"x": entry(shape=12)}), "is not described by"),
        (tensors({"x": entry(shape=(1,) * 65)}), "65 axes"),
        (tensors({"x": entry(dtype=4)}), "is not described by"),
        (tensors({"x": {"dtype": "F32"}}), "is not described by"),
        (tensors({"x": "F32"}), "is not described by"),
        (tensors({"x": entry(shape=(4, 4))}), "does not take the 48 bytes"),
        (tensors({"x": entry(shape=(2**62, 2**62))}), "does not take the 48 bytes"),
        (tensors({"x": entry(dtype="F64")}), "does not take the 48 bytes"),
        (tensors({"x": entry(dtype="F8_E4M3", shape=(48,))}), "got F8_E4M3"),
        (tensors({"x": entry(dtype="C64", shape=(6,))}), "got C64"),
        (tensors({"__metadata__": {"a": "b"}}, b""), "holds no tensor"),
    ],
)
def test_headers_that_lie(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    assert words in refused(tmp_path / "a.safetensors")
    (tmp_path / "a.safetensors").write_bytes(tensors({"x": entry()}))
    with open_array(str(tmp_path / "a.safetensors")) as source:
        np.testing.assert_array_equal(source.read_all(), ARRAY)


# .parquet


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pa.array(["a", "b"]), "must hold numbers"),
        (pa.array([b"a", b"b"]), "must hold numbers"),
        (pa.array([{"a": 1}, {"a": 2}]), "must hold numbers"),
        (pa.array([[["a"]], [["b"]]]), "must hold numbers"),
        (pa.array([1, 2], pa.timestamp("s")), "must hold numbers"),
        (pa.array([1, 2], pa.decimal128(5, 2)), "must hold numbers"),
        (pa.array(["a", "b"]).dictionary_encode(), "must hold numbers"),
        (pa.array([1.0, None]), r"row 1 has no value (null)"),
        (pa.array([None, 1]), r"row 0 has no value (null)"),
        (pa.array([[1.0, 2.0], None]), r"row 1 has no value (null)"),
        (pa.array([[1.0, 2.0], [3.0, None]]), r"row 1 has no value (null)"),
        (pa.array([[1.0], None], pa.list_(pa.float64(), 1)), r"row 1 has no value (null)"),
        (pa.array([[1.0, 2.0], [3.0]]), "row 1 has 1 numbers, not 2"),
        (pa.array([[], [3.0]]), "row 1 has 1 numbers, not 0"),
        (pa.array([[[1.0, 2.0]], [[3.0], [4.0]]]), "row 1 has 2 numbers, not 1"),
    ],
)
def test_columns_without_numbers(tmp_path: Path, column: pa.Array, words: str) -> None:
    pq.write_table(pa.table({"x": column}), tmp_path / "a.parquet")
    assert words in refused(tmp_path / "a.parquet")


def test_columns_that_do_not_go_together(tmp_path: Path) -> None:
    table = pa.table({"x": fixed_lists(ARRAY), "y": np.arange(4)})
    pq.write_table(table, tmp_path / "a.parquet")
    assert "must hold numbers" in refused(f"{tmp_path / 'a.parquet'}:x,y")
    pq.write_table(pa.table([[1], [2]], ["x", "x"]), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("x,x\n1,2\n")
    for suffix in ("parquet", "csv"):
        assert "has 2 columns 'x'" in refused(f"{tmp_path / 'a'}.{suffix}:x")
    assert "has 2 columns 'x'" in refused(tmp_path / "a.csv")


def test_page_checksums_are_checked(tmp_path: Path) -> None:
    noise = pa.table({"x": np.random.default_rng(0).random(500)})
    path = tmp_path / "a.parquet"
    pq.write_table(noise, path, compression="none", use_dictionary=False, write_page_checksum=True)
    damaged = bytearray(path.read_bytes())
    damaged[2000] ^= 1
    path.write_bytes(damaged)
    assert "not a readable .parquet file" in refused(path)


# .csv


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("p,q\n1,2\n3,x\n", "not a readable .csv file: In CSV column #1"),
        ("p,q\n1,2\n3\n", "Expected 2 columns, got 1"),
        ("p,q\n1,2\n3,\n", "row 1 has no value (null)"),
        ("p\n1\n\n3\n", "row 1 has no value (null)"),
        ("p\n1\n2\n\n", "row 2 has no value (null)"),
        ("0.5,0.25\n1,2\n", "first line must name the columns"),
        ("1,2\n3,4\n", "first line must name the columns"),
        (",p\n0,1\n", "column 1 has no name: is it an index, which pandas leaves out"),
        ("p;q\n1;2\n", "not a readable .csv file"),
        ("\n", "column 1 has no name"),
        ("\x00\x00\n\x00", "not a readable .csv file"),
        ("p\n1_000\n", "not a readable .csv file"),
        ("p\n0x10\n", "not a readable .csv file"),
        ("p,q\ntrue,1.5\n", "not a readable .csv file"),
    ],
)
def test_text_without_numbers(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert words in refused(tmp_path / "a.csv")


def test_text_in_other_encodings(tmp_path: Path) -> None:
    for encoding in ("utf-16", "latin-1"):
        (tmp_path / "a.csv").write_bytes("ä,ö\n1,2\n".encode(encoding))
        assert "not a readable .csv file" in refused(tmp_path / "a.csv")


def test_an_index_that_pandas_wrote(tmp_path: Path) -> None:
    pd.DataFrame({"p": [0.5, 0.25]}).to_csv(tmp_path / "a.csv")
    assert "index=False" in refused(tmp_path / "a.csv")
    with open_array(f"{tmp_path / 'a.csv'}:p") as source:
        assert source.read_all().tolist() == [0.5, 0.25]


# .zarr


class Deed:
    """A pickle of it makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (str(self.path), "w")


@pytest.mark.parametrize(
    ("version", "codecs", "words"),
    [
        (2, [{"id": "pickle", "protocol": 5}], "not a readable .zarr file"),
        (2, [{"id": "delta", "dtype": "<f4"}, {"id": "pickle", "protocol": 5}], "'pickle'"),
        (2, [{"id": "base64"}], "is encoded by 'base64', which is not decoded here"),
        (3, [{"name": "numcodecs.pickle", "configuration": {}}], "not a readable .zarr file"),
        (3, [{"name": "numcodecs.json2", "configuration": {}}], "not a readable .zarr file"),
    ],
)
def test_no_pickle_is_loaded(tmp_path: Path, version: int, codecs: list, words: str) -> None:
    made = zarr.create_array(
        tmp_path / "a.zarr", shape=(4,), chunks=(4,), dtype="f4", zarr_format=version,
        compressors=None,
    )  # fmt: skip
    made[...] = 1
    chunk = tmp_path / "a.zarr" / ("0" if version == 2 else "c/0")
    chunk.write_bytes(pickle.dumps(Deed(tmp_path / "done")))
    path = tmp_path / "a.zarr" / (".zarray" if version == 2 else "zarr.json")
    metadata = json.loads(path.read_text())
    if version == 2:
        metadata["filters"] = codecs
    else:
        metadata["codecs"] += codecs
    path.write_text(json.dumps(metadata))
    assert words in refused(tmp_path / "a.zarr")
    assert not (tmp_path / "done").exists()


def test_arrays_without_numbers(tmp_path: Path) -> None:
    for number, dtype in enumerate(("c8", "M8[s]", "S3")):
        zarr.create_array(tmp_path / f"{number}.zarr", shape=(2,), dtype=dtype, zarr_format=2)
        assert "dtype must be" in refused(tmp_path / f"{number}.zarr")


def test_directories_that_are_no_arrays(tmp_path: Path) -> None:
    assert "No such directory" in refused(tmp_path / "gone.zarr")
    (tmp_path / "file.zarr").write_bytes(b"")
    assert "not a directory" in refused(tmp_path / "file.zarr")
    (tmp_path / "empty.zarr").mkdir()
    assert "not a readable .zarr" in refused(tmp_path / "empty.zarr")
    (tmp_path / "empty.zarr" / "zarr.json").write_text("{}")
    assert "holds no array" in refused(tmp_path / "empty.zarr")
    zarr_array(tmp_path, ARRAY)
    chunk = next(path for path in (tmp_path / "a.zarr" / "c").rglob("*") if path.is_file())
    chunk.write_bytes(io.BytesIO(b"x" * 99).getvalue())
    assert "a.zarr: not a readable .zarr file" in refused(tmp_path / "a.zarr")
