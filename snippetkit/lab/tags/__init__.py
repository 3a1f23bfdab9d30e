"""More than one label per recording: tags, each present or absent, or several columns of classes."""
