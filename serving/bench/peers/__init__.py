"""The same network behind other servers, as their first pages teach it: programs that take PORT and MODEL.

All answer POST /predict with the view, the grade, the landmarks and each structure's outlines in network pixels; none
measures, grades or abstains.
"""
