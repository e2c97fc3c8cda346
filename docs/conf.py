"""How Sphinx builds the site: `make docs`."""

import sys
from pathlib import Path

import fastloss

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "fastloss"
author = "The fastloss developers"
copyright = author
release = version = fastloss.__version__

extensions = [
    "command_options",
    "llms_txt",
    "mathml",
    "myst_parser",
    "numpydoc",
    "repository_links",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "tidy_sessions",
]
exclude_patterns = ["_build"]
repository_pages = {  # files of the repository that pages include
    "CHANGELOG.md": "inside/changelog",
    "CONTRIBUTING.md": "inside/contributing",
    "README.md": "index",
    "SECURITY.md": "inside/security",
    "kernels/fastloss_kernels/README.md": "inside/engine",
}
default_role = "code"

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = False  # pages list what they document; nothing is written into docs/
autodoc_typehints = "none"  # the docstrings have the types
autodoc_member_order = "bysource"
numpydoc_show_class_members = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "fastloss"
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system
html_favicon = "_static/mark.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "show_toc_level": 2,
}
html_sidebars = {"index": [], "start": []}
