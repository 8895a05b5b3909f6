"""From result files to something one wants to read: `result_folder` finds them, `evaluations` makes the tables of systems on
benchmarks, `measurement` reads the tables that other files bring, `failures` draws the pictures that went wrong,
`report_page` puts it all on one page. Nothing is measured here, and no file is known by its name."""
