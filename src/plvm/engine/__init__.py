"""What answers: prefixes of pictures, requests, batches of them, scores, and answers token by token."""
