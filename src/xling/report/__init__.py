"""One self-contained page that says what was found."""
