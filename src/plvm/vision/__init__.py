"""What a photograph holds: faces found, turned upright and described; windows of it described. Knows neither names nor words."""
