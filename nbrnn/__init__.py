"""Train many small character-level recurrent networks, fast, on an ordinary CPU."""
