"""Lock entries, the journal's text, the identity of a database."""
