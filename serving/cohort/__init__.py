"""`hipsono cohort`: readings and a design file -> the tables and plots of a trial.

design     the design file -> patients and visits; errors name row and column
identity   a design under the names of a de-identified run
readings   what `hipsono grade` wrote, a value a hip
matching   which study is a visit's, and which of its hips
outcomes   both joined: a record a visit, what was left out and why, a grid of patients and visits an outcome
summaries  counts, n, missing, mean, SD, SEM, median and quartiles; who took part
effects    effect sizes, with intervals by bootstrap over patients
within     change within groups: Friedman, Wilcoxon, Holm
between    groups at each visit: Kruskal-Wallis, Dunn
model      group by visit: GEE, cumulative logits for grades
agreement  machine and reader: kappa, Bland-Altman, and whether both lead to the same conclusions
plausible  can whole numbers have this mean and SD? exact
published  a file of printed summaries, checked
plots      each patient's course, grades by visit, agreement
analysis   all of it on one screen: joined values -> Analysis
csv_tables a CSV a table
report     the page
command    the verb
"""
