"""The family for photographs: people as codes of their faces, dialogues about them, the language model that compares codes."""
