"""Sphinx's settings. `make docs` puts all pages together with `pages.py` and builds them; nothing is fetched."""

import nanolab

project = "nanolab"
author = "The nanolab developers"
copyright = "the nanolab developers, GPL-3.0-or-later"  # Sphinx's name for it
version = release = nanolab.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx_design"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # pages.py took care of it
nb_ipywidgets_js = {}  # a figure stands in place of each widget, and nothing is loaded from elsewhere
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]
nb_output_stderr = "remove"

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
napoleon_use_rtype = False
default_role = "code"
add_module_names = False
toc_object_entries = False
suppress_warnings = ["mystnb.unknown_mime_type"]  # widgets, see above

templates_path = ["_templates"]
html_theme = "pydata_sphinx_theme"
html_title = "nanolab"
html_static_path = ["_static"]
html_css_files = ["nanolab.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-light",
    "pygments_dark_style": "a11y-dark",
}
html_sidebars = {page: [] for page in ("start", "recipes", "changelog", "contributing")}
