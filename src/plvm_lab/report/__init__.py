"""From result files to something one wants to read: `results` finds them, `tables` and `plots` show the figures,
`failures` the pictures that went wrong, `page` puts it all on one page. Nothing is measured here."""
