"""Problems of expanded workflows."""
