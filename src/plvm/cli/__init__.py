"""The command line: a file of thin verbs over the library each, and what they share."""
