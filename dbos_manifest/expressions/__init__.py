"""The language of `${{ … }}`."""
