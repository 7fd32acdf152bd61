"""Find problems of expanded workflows."""
