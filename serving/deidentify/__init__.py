"""De-identification: what `hipsono grade --deidentify` may let out, and the queue before it.

pseudonyms    key -> UIDs, patients, day shifts: the same for the same key, untraceable without it
header        an allow-list of attributes, written afresh (PS3.15 Basic Profile and less)
pixels        the insonated area is kept, everything around it is blanked
layouts       what a person blanked on a scanner's screen, remembered for the next file that looks the same
search        text that is left inside: shown to a person, never a proof that there is none
clean         one DICOM file -> its de-identified twin, withheld
decisions     what a person said of each file's picture
release       where each file stands; what was cleared, with flags that are true by then
clearing      the page on which a person decides
"""
