"""The runs below an outputs folder: read, parted by the questions they answered, averaged and compared."""
