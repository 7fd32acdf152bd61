"""The one door to the DBOS system database: connect, find its layout, read, write, lock, retry."""
