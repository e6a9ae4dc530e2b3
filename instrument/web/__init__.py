"""Web requests as the roots of traces, with the session and user that their headers name."""
