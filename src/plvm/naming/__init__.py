"""Names that people have, and the words made of them; how they are found in a sentence, and what only looks like them."""
