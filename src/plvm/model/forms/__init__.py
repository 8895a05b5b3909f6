"""The forms of an Aligner: a file each, called like its form, whose `FORM` is the class; `plvm.model.aligner` has the rest."""
