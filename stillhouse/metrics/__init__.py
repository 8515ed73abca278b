"""Numbers from predictions: scores, calibration, paired tests. No models here."""
