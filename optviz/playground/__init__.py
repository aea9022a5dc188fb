"""The playground: what the notebook widget and the web app share, without a web framework.

`service.answer(kind, request)` is the one way in; everything it takes and gives is data. Settings become runs
(`settings`, `world`), runs become paths (`compute`, by compiled programs kept in `programs`), and paths become tables,
steps looked at, tuned rates (`table`, `at_step`, `tuning`) and at last bytes (`wire`).
"""
