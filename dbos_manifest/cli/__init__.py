"""The command line: words in, one operation, its result on stdout and its talk on stderr."""
