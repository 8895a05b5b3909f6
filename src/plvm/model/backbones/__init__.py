"""The families of backbones: a file each, whose `FAMILY` is the class; `plvm.model.backbone_family` has the rest.

    file              model types             image tokens                                  positions   pictures
    llava_1_5         llava                   P in a row                                    1 axis      one size
    llava_onevision   llava_onevision         base picture, then tiles with line ends       1 axis      any size, tiled
    photo             plvm_photo              words, and one token for each face            1 axis      any size
    qwen2_5_vl        qwen2_5_vl              between <|vision_start|> and <|vision_end|>   3 axes      any size
    smolvlm           smolvlm, idefics3       one run per tile, each after a token that     1 axis      any size, tiled
                                              says which tile it is
"""
