"""The tables of conf/table: their rows, their layout, and the published figures that may stand beside ours."""
