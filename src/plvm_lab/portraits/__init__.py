"""The drawn world of people: who they are, scenes, pictures of them, and questions with their true answers."""
