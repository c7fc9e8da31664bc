"""An audit's judgement: how confidently a classifier can be wrong, in numbers with intervals."""
