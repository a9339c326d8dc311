"""Score files in; Markdown, JSON and plots out."""
