"""What users may choose: options of a scan and of a watch, floors and the budget of false alarms."""
