"""From a request to text: grids of cells, laid out and written in any of the formats."""
