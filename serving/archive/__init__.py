"""`hipsono grade`: years of studies read overnight, resumable, with a row for every input.

plan     what there is to read, by study, large ones in portions; what gives no frame, and why
study    one study, or a portion -> a row a frame, a tally a hip, the frames that may decide it
hips     tallies of a hip's frames, which add up; the row that tells it
results  of each DICOM file: report, segmentation, annotated frames
quality  how well a frame shows a hip
tables   those rows as Arrow schemas; parts as Parquet, put together bit for bit the same
parts    what is done, on disk: a folder a study or portion, whole or not at all; set aside what the archive lacks
note     run.json: of what archive, by what settings and programs; whether a folder may be gone on with
pool     studies over processes; a file that kills its process is found and left out
cluster  the same over a Ray cluster (extra `cluster`)
run      plan, read, write
command  the verb: progress and the summary
page     the page to look at, without a server
"""
