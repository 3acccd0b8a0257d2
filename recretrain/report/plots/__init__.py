"""From a request to PNG and SVG files: curves over the periods, and the charts of a table."""
