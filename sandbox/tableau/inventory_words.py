"""The words that a believable site is made of."""

PROJECTS = ("Sales", "Finance", "Marketing", "Supply Chain", "People & Culture", "Default", "Sandbox")
OWNERS = ("ann.miller", "bogdan.petrov", "chloë.durand", "dan.o'neil", "emi.tanaka", "jane.doe@acme.example")
TAGS = ("certified", "nightly", "gdpr", "snowflake", "q3", "to be retired")
SUBJECTS = (
    "Orders",
    "Invoices",
    "Customers",
    "Inventory",
    "Headcount",
    "Campaigns",
    "Web traffic",
    "Returns",
    "Pipeline",
    "Budget",
    "Shipments",
)
# What breaks naive XML, CSV, HTML, globs, logs and terminals.
TRICKY_NAMES = (
    "Profit & Loss",
    "Margin < 10 %",
    'The "real" numbers',
    "Côte d'Ivoire — été",
    "売上ダッシュボード",
    "Growth 🚀",
    "Sales, by region, by week",
    "a > b || c; DROP TABLE orders --",
    "[Draft] Forecast*?",
    "=SUM(A1:A9)",
    "Über-Übersicht / 2026",
    "<script>alert(1)</script>",
    "  two  spaces  ",
)
