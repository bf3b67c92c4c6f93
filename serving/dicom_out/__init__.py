"""Readings as DICOM objects that other systems store, show and read back.

origin    what a result takes over from the instance it is about: patient, study, references
codes     the terms used; a private scheme where no standard code is confirmed
seg       structures as a Segmentation, of a picture or of a cine without a frame of reference
rows      numbers, coded words and texts of a report
sr        frames looked at, landmarks, distances and grades as a Comprehensive SR (TID 1500)
capture   the annotated frame as Secondary Capture
"""
