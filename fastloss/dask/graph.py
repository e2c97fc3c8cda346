"""The graph of an evaluation: a task for each part, and a tree that adds up what they find."""

from __future__ import annotations

import functools
import operator
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import dask.array as da
from dask.base import is_dask_collection
from dask.delayed import Delayed
from dask.highlevelgraph import HighLevelGraph

from fastloss.dask.arrays import (
    Form,
    Places,
    block_keys,
    cut,
    dask_array,
    parts_of_chunks,
    windows,
)
from fastloss.formats.chunks import Chunk, chunk_shape
from fastloss.loss_base import Loss
from fastloss.out_of_core import evaluation
from fastloss.out_of_core.groups import group_keys
from fastloss.out_of_core.inputs import RowCounts
from fastloss.out_of_core.outputs import output_dtype
from fastloss.out_of_core.parts import Part, Task, equal_parts, part_chunk

COUNTED_BLOCKS = 16
"""How many blocks of the first pass, of 262,144 rows, a task counts."""
FAN_IN = 8
"""How many partial results a task of the tree adds up."""


class Tasks:
    """A layer of a graph. Each task is a function of the results of others.

    Written as a dictionary: a hundred thousand of Dask's Delayed objects would take minutes.
    """

    def __init__(self, kind: str, needed: Sequence[Any] = ()) -> None:
        self._kind, self._number = kind, uuid.uuid4().hex
        self._name = f"fastloss-{kind}-{self._number}"
        self._layer: dict[Any, Any] = {}
        self._needed = needed
        """The collections that hold what these tasks need."""

    def add(self, function: Callable[..., Any], *keys: Any, kind: str = "") -> Any:
        """Add a task; return its key.

        Tasks of a kind have names of their own: by them Dask sees which tasks are alike and
        begin the work, to spread these over all workers.
        """
        key = (f"fastloss-{kind or self._kind}-{self._number}", len(self._layer))
        self._layer[key] = (function, *keys)
        return key

    def constant(self, value: Any) -> Any:
        """Add a task that returns a value; return its key."""
        return self.add(functools.partial(_same, value))

    def merge(self, keys: list[Any]) -> Any:
        """Add up results by a tree over their numbers; return the key of the sum."""
        while len(keys) > 1:
            level = [keys[start : start + FAN_IN] for start in range(0, len(keys), FAN_IN)]
            keys = [self.add(_sum, some, kind="merge") for some in level]
        return keys[0]

    def delayed(self, key: Any) -> Any:
        """Return the Delayed of a task."""
        graph = HighLevelGraph.from_collections(self._name, self._layer, self._needed)
        return Delayed(key, graph, layer=self._name)

    def array(self, keys: list[Any], places: Sequence[Chunk], dtype: Any) -> da.Array:
        """Return an array of blocks that follow each other along one axis, at these places."""
        shapes = list(map(chunk_shape, places))
        moving = [axis for axis, part in enumerate(places[0]) if part != places[-1][axis]]
        chunks = [
            tuple(shape[axis] for shape in (shapes if axis in moving else shapes[:1]))
            for axis in range(len(places[0]))
        ]
        name = f"{self._name}-array"  # Dask wants an array to be a layer of its name
        layer: dict[Any, Any] = {
            (name, *(number if axis in moving else 0 for axis in range(len(chunks)))): key
            for number, key in enumerate(keys)
        }
        graph = HighLevelGraph.from_collections(name, layer, [self.delayed(keys[0])])
        return da.Array(graph, name, chunks, dtype)


class Graph:
    """Dask arrays of one evaluation, and the tasks that read them.

    Parameters
    ----------
    task : Task
        What is computed.
    y_true, y_pred, sample_weight, mask, groups
        Dask arrays, or arrays in memory; None: not given.
    """

    def __init__(
        self,
        task: Task,
        y_true: Any,
        y_pred: Any,
        sample_weight: Any,
        mask: Any,
        groups: Any = None,
    ) -> None:
        if not isinstance(task.loss, Loss):
            raise TypeError(
                "loss must be an instance of a loss class that takes y_true and y_pred, as"
                f" fl.Poisson(); got {task.loss!r}"
            )
        if task.block_rows is not None and task.block_rows < 1:
            raise ValueError(f"block_rows must be at least 1, got {task.block_rows}")
        arrays = {"y_true": dask_array("y_true", y_true), "y_pred": dask_array("y_pred", y_pred)}
        for name, a in (("sample_weight", sample_weight), ("mask", mask), ("groups", groups)):
            if a is not None:
                arrays[name] = dask_array(name, a)
        self.loss, self.y_pred = task.loss, arrays["y_pred"]
        self.output = output_dtype(self.loss, self.y_pred.dtype)
        """The dtype of losses and gradient."""
        self.inputs = inputs = task.inputs(arrays)
        self._keys = group_keys(arrays["groups"], inputs.loss_shape) if "groups" in arrays else None
        large = {"y_pred"} if inputs.spec.by_label else {"y_pred", "y_true"}
        small = {name: arrays[name] for name in arrays.keys() - large - {"groups"}}
        self.parts, self._counted = (
            parts_of_chunks(inputs, self.y_pred),
            equal_parts(inputs.loss_shape, evaluation.BLOCK_ROWS, COUNTED_BLOCKS),
        )
        self.places, self._counted_places = map(self._places_of, (self.parts, self._counted))
        given = {"y_pred"} | ({"y_true"} if is_dask_collection(y_true) else set())
        self._second = cut(arrays, self.places, large & given)  # an array in memory moves anyway
        self._first = cut(small, self._counted_places, set())
        forms: dict[str, Form] = {name: (a.shape, a.dtype) for name, a in arrays.items()}
        shared = Tasks("shared")
        self._shared = shared.delayed(shared.constant((task, forms)))

    def _places_of(self, parts: list[Part]) -> list[Places]:
        """Return which chunk of each array each part needs."""
        chunks = [part_chunk(self.inputs.loss_shape, part) for part in parts]
        keys = self._keys
        groups = [{} if keys is None else {"groups": keys.source_chunk(c)} for c in chunks]
        return [self.inputs.source_chunks(c) | g for c, g in zip(chunks, groups, strict=True)]

    def counts(self) -> Any:
        """Return the Delayed of the counts of all rows, with the divisor."""
        tasks, keys = self._each("count", self._counted, self._counted_places, self._first)
        of_all = functools.partial(RowCounts.of_all, reduction=self.loss.reduction)
        return tasks.delayed(tasks.add(of_all, tasks.merge(keys)))

    def each(self, method: str, *more: Delayed) -> tuple[Tasks, list[Any]]:
        """Return tasks that call a method of Task for each part, and their keys."""
        return self._each(method, self.parts, self.places, self._second, *more)

    def _each(
        self,
        method: str,
        parts: list[Part],
        places: list[Places],
        arrays: dict[str, Any],
        *more: Delayed,
    ) -> tuple[Tasks, list[Any]]:
        tasks = Tasks(method, [self._shared, *arrays.values(), *more])
        blocks = zip(*(block_keys(array, len(parts)) for array in arrays.values()), strict=True)
        names, others = list(arrays), [one.key for one in more]
        keys = [
            tasks.add(
                functools.partial(_of_part, method, part, place, names),
                self._shared.key,
                list(next(blocks, ())),
                *others,
            )
            for part, place in zip(parts, places, strict=True)
        ]
        return tasks, keys


def _of_part(
    method: str,
    part: Part,
    places: Places,
    names: list[str],
    shared: tuple[Task, dict[str, Form]],
    blocks: list[Any],
    *more: Any,
) -> Any:
    task, forms = shared
    found = dict(zip(names, blocks, strict=True))
    return getattr(task, method)(windows(forms, places, found), part, *more)


def _same(value: Any) -> Any:
    return value


def _sum(parts: list[Any]) -> Any:
    return functools.reduce(operator.add, parts)
