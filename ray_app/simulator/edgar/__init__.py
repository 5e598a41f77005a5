"""SEC EDGAR: filings of a few companies, on data.sec.gov and www.sec.gov."""
