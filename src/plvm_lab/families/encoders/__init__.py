"""Four small encoders that differ only in what they were taught, for the table of encoders (paper, Table 4).

Each is of a stock class, of one size, taught on the same drawn pictures for as many steps, by the objective of its family:

    dinov2   self-distillation between crops of a picture, and of masked patches (nobody says what is to be seen)
    clip     which caption belongs to which picture
    vit      which traits the person in the picture has
    sam      which region a point of the picture belongs to; no global token
"""
