"""How what is shown in this folder was made."""
