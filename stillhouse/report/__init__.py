"""From stored predictions to a page that people read: results, findings, plots, templates."""
