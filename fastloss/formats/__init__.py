"""Arrays in files: a reader for each format, shards as one array, and writers."""
