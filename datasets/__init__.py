"""Where pictures come from: phantoms, DICOM, picture files, labelled data sets. No torch.

sample      Sample = Frame + Truth, with who and how it was acquired
store       the on-disk format: write, read, check
split       by patient, stratified by grade, look-alikes kept together
dicom       the one DICOM reader
whole       files that appear whole or not at all
files       any file or folder -> Frames
phantom/    labelled sonograms whose millimetres are known by construction
"""
