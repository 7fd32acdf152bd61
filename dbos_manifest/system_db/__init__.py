"""Access to the DBOS system database, and the only folder that opens databases."""
