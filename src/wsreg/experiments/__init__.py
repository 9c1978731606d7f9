"""The paper's experiments as tables, figures and a report, made from scored registrations."""
