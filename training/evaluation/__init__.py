"""An examination: one frame's score, many frames' figures, what confidences are worth, the report."""
