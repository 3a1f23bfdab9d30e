"""A whole run: the work folder, output of earlier sessions, other runs, the notebooks through papermill."""
