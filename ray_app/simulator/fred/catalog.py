"""The series that the simulated FRED has: what they measure, how they move, when they come out and change."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Release:
    """A publication that several series come out with; `at` is its hour, US Central."""

    id: int
    name: str
    at: str
    press: bool = True


RELEASES: Mapping[int, Release] = {
    release.id: release
    for release in (
        Release(9, "Advance Monthly Sales for Retail and Food Services", "07:35"),
        Release(10, "Consumer Price Index", "07:40"),
        Release(13, "G.17 Industrial Production and Capacity Utilization", "08:20"),
        Release(17, "H.10 Foreign Exchange Rates", "15:17"),
        Release(18, "H.15 Selected Interest Rates", "15:16"),
        Release(20, "H.4.1 Factors Affecting Reserve Balances", "15:33"),
        Release(21, "H.6 Money Stock Measures", "12:01"),
        Release(27, "New Residential Construction", "07:36"),
        Release(46, "Producer Price Index", "07:34"),
        Release(50, "Employment Situation", "07:46"),
        Release(53, "Gross Domestic Product", "07:54"),
        Release(54, "Personal Income and Outlays", "07:41"),
        Release(91, "Surveys of Consumers", "09:02"),
        Release(101, "FOMC Press Release", "00:05"),
        Release(180, "Unemployment Insurance Weekly Claims Report", "07:33"),
        Release(190, "Primary Mortgage Market Survey", "11:05"),
        Release(192, "Job Openings and Labor Turnover Survey", "09:02"),
        Release(200, "CBOE Market Statistics", "08:37"),
        Release(206, "NASDAQ", "19:09", press=False),
        Release(219, "Standard & Poors", "19:11", press=False),
        Release(212, "Spot Prices", "12:06"),
        Release(304, "Interest Rate Spreads", "16:01", press=False),
        Release(378, "FRB Rates - federal funds data", "15:18", press=False),
        Release(379, "Temporary Open Market Operations", "13:01", press=False),
        Release(445, "Secured Overnight Financing Rate Data", "07:01", press=False),
    )
}


@dataclass(frozen=True, slots=True)
class Series:
    """One series. Its numbers are `level` in 2020, growing by `growth` a year and swinging by `swing`.

    `relative`: growth and swing are shares of the level, else units. `steps` later releases revise a
    number by about `size` (a share or units as well); `annual` is how many years back the yearly
    revision of month `annual_month` goes. `first_vintage` None: not in ALFRED.
    """

    id: str
    title: str
    release: int
    frequency: str  # D, D7, W, M, Q
    rule: str  # see calendar.published
    units: str
    units_short: str
    start: date
    first_vintage: date | None
    level: float
    growth: float = 0.0
    swing: float = 0.0
    relative: bool = False
    low: float | None = None
    decimals: int = 2
    adjustment: str = "NSA"
    steps: int = 0
    size: float = 0.0
    annual: int = 0
    annual_month: int = 0
    corrected: float = 0.0  # the share of days that are corrected soon
    withdrawn: float = 0.0  # the share that is taken back for some days
    popularity: int = 60
    made_of: tuple[str, ...] = ()  # a difference of two others, or the mean of one's months
    stair: float = 0.0  # that mean goes up to the next multiple of it, and stands for each day of the month
    years: int | None = None  # only so much is licensed


@dataclass(frozen=True, slots=True)
class Rebased:
    """Before `day` a series was told in other units: `factor` times its numbers of today."""

    day: date
    factor: float
    units: str
    units_short: str
    decimals: int


REBASED: Mapping[str, Rebased] = {
    "GDPC1": Rebased(date(2023, 9, 29), 1 / 1.0993, "Billions of Chained 2012 Dollars", "Bil. of Chn. 2012 $", 3),
    "WTREGEN": Rebased(date(2020, 4, 9), 0.001, "Billions of U.S. Dollars", "Bil. of U.S. $", 3),
}  # fmt: skip

D2000, M1990 = date(2000, 1, 3), date(1990, 1, 1)
BOND, PRICES = date(2005, 6, 1), date(1999, 2, 19)
TARGETS = date(2008, 12, 16)  # since then the Federal Reserve names a range
PERCENT = ("Percent", "%")
DOLLARS = ("Billions of Dollars", "Bil. of $")


def _yield(name: str, years: str, level: float, popularity: int) -> Series:
    title = f"Market Yield on U.S. Treasury Securities at {years} Constant Maturity, Quoted on an Investment Basis"
    return Series(
        name, title, 18, "D", "next", *PERCENT, D2000, BOND, level,
        swing=1.1, low=0.05, corrected=0.01, withdrawn=0.003, popularity=popularity,
    )  # fmt: skip


def _index(
    name: str, title: str, release: int, rule: str, level: float, growth: float, size: float
) -> Series:
    return Series(
        name, title, release, "M", rule, "Index 2017=100", "Index 2017=100", M1990, PRICES, level, growth,
        0.012, relative=True, decimals=3, adjustment="SA", steps=2, size=size, annual=3, annual_month=9,
    )  # fmt: skip


def _prices(name: str, title: str, level: float) -> Series:
    units = "Index 1982-1984=100"
    return Series(
        name, title, 10, "M", "month+12", units, units, M1990, PRICES, level, 0.027, 0.01, relative=True,
        decimals=3, adjustment="SA", steps=2, size=0.0004, annual=5, annual_month=2, popularity=94,
    )  # fmt: skip


_ALL = (
    Series("DFF", "Federal Funds Effective Rate", 378, "D7", "next", *PERCENT, date(2000, 1, 1), BOND, 2.8,
           swing=1.2, low=0.04, corrected=0.2, popularity=86),
    Series("FEDFUNDS", "Federal Funds Effective Rate", 18, "M", "first", *PERCENT, date(2000, 1, 1), PRICES, 0,
           made_of=("DFF",), popularity=96),
    Series("DFEDTARU", "Federal Funds Target Range - Upper Limit", 101, "D7", "itself", *PERCENT, TARGETS, TARGETS, 0,
           made_of=("DFF",), stair=0.25, popularity=89),
    Series("SOFR", "Secured Overnight Financing Rate", 445, "D", "next", *PERCENT, date(2018, 4, 3),
           date(2018, 4, 3), 2.8, swing=1.2, low=0.01, popularity=85),
    _yield("DGS3MO", "3-Month", 2.9, 68),
    _yield("DGS2", "2-Year", 2.7, 84),
    _yield("DGS5", "5-Year", 2.9, 78),
    _yield("DGS10", "10-Year", 3.3, 94),
    _yield("DGS30", "30-Year", 3.8, 80),
    Series("T10Y2Y", "10-Year Treasury Constant Maturity Minus 2-Year Treasury Constant Maturity", 304, "D",
           "next", *PERCENT, D2000, BOND, 0, made_of=("DGS10", "DGS2"), popularity=99),
    Series("T10Y3M", "10-Year Treasury Constant Maturity Minus 3-Month Treasury Constant Maturity", 304, "D",
           "next", *PERCENT, D2000, BOND, 0, made_of=("DGS10", "DGS3MO"), popularity=92),
    Series("DFII10", "Market Yield on U.S. Treasury Securities at 10-Year Constant Maturity, Quoted on an Investment "
           "Basis, Inflation-Indexed", 18, "D", "next", *PERCENT, date(2003, 1, 2), BOND, 1.1, swing=0.9,
           corrected=0.01, popularity=84),
    Series("T10YIE", "10-Year Breakeven Inflation Rate", 304, "D", "next", *PERCENT, date(2003, 1, 2), BOND, 2.2,
           swing=0.4, corrected=0.005, popularity=88),
    Series("T5YIE", "5-Year Breakeven Inflation Rate", 304, "D", "next", *PERCENT, date(2003, 1, 2), BOND, 2.1,
           swing=0.5, corrected=0.005, popularity=82),
    Series("T5YIFR", "5-Year, 5-Year Forward Inflation Expectation Rate", 304, "D", "next", *PERCENT,
           date(2003, 1, 2), BOND, 2.3, swing=0.3, corrected=0.005, popularity=79),
    Series("VIXCLS", "CBOE Volatility Index: VIX", 200, "D", "next", "Index", "Index", D2000, BOND, 19,
           swing=0.35, relative=True, low=9, popularity=83),
    _prices("CPIAUCSL", "Consumer Price Index for All Urban Consumers: All Items in U.S. City Average", 258.0),
    _prices("CPILFESL", "Consumer Price Index for All Urban Consumers: All Items Less Food and Energy in "
            "U.S. City Average", 266.0),
    Series("PPIACO", "Producer Price Index by Commodity: All Commodities", 46, "M", "month+14", "Index 1982=100",
           "Index 1982=100", M1990, PRICES, 196, 0.026, 0.04, relative=True, decimals=3, steps=4, size=0.004,
           popularity=84),
    _index("PCEPI", "Personal Consumption Expenditures: Chain-type Price Index", 54, "month+30", 104, 0.024, 2e-4),
    _index("PCEPILFE", "Personal Consumption Expenditures Excluding Food and Energy (Chain-Type Price Index)", 54,
           "month+30", 105, 0.023, 2e-4),
    Series("UNRATE", "Unemployment Rate", 50, "M", "jobs", *PERCENT, M1990, PRICES, 5.0, swing=0.9, low=2.5,
           decimals=1, adjustment="SA", size=0.15, annual=5, annual_month=1, popularity=94),
    Series("PAYEMS", "All Employees, Total Nonfarm", 50, "M", "jobs", "Thousands of Persons", "Thous. of Persons",
           M1990, PRICES, 148_000, 0.011, 0.01, relative=True, decimals=0, adjustment="SA", steps=2, size=0.0008,
           annual=2, annual_month=2, popularity=83),
    Series("JTSJOL", "Job Openings: Total Nonfarm", 192, "M", "month+30", "Level in Thousands", "Level in Thous.",
           date(2000, 12, 1), date(2010, 10, 7), 6_900, 0.03, 0.2, relative=True, decimals=0, adjustment="SA",
           steps=1, size=0.02, annual=5, annual_month=2, popularity=79),
    Series("ICSA", "Initial Claims", 180, "W", "week+5", "Number", "Number", date(2000, 1, 1), date(2009, 6, 4),
           240_000, swing=0.12, relative=True, decimals=-3, adjustment="SA", steps=1, size=0.012, popularity=81),
    Series("GDPC1", "Real Gross Domestic Product", 53, "Q", "quarter+29", "Billions of Chained 2017 Dollars",
           "Bil. of Chn. 2017 $", date(1947, 1, 1), date(1991, 12, 4), 20_500, 0.023, 0.02, relative=True,
           decimals=3, adjustment="SAAR", steps=3, size=0.003, annual=3, annual_month=9, popularity=91),
    Series("GDP", "Gross Domestic Product", 53, "Q", "quarter+29", *DOLLARS, date(1946, 1, 1), date(1991, 12, 4),
           21_500, 0.052, 0.025, relative=True, decimals=3, adjustment="SAAR", steps=3, size=0.004, annual=3,
           annual_month=9, popularity=93),
    _index("INDPRO", "Industrial Production: Total Index", 13, "month+17", 100, 0.008, 0.003),
    Series("RSAFS", "Advance Retail Sales: Retail Trade and Food Services", 9, "M", "month+15",
           "Millions of Dollars", "Mil. of $", date(1992, 1, 1), date(2001, 6, 13), 540_000, 0.04, 0.03,
           relative=True, decimals=0, adjustment="SA", steps=2, size=0.006, annual=3, annual_month=4,
           popularity=72),
    Series("HOUST", "New Privately-Owned Housing Units Started: Total Units", 27, "M", "month+18",
           "Thousands of Units", "Thous. of Units", M1990, PRICES, 1_350, 0.005, 0.2, relative=True, decimals=0,
           adjustment="SAAR", steps=2, size=0.03, annual=2, annual_month=5, popularity=82),
    Series("M2SL", "M2", 21, "M", "m2", *DOLLARS, M1990, PRICES, 15_500, 0.06, 0.02, relative=True, decimals=1,
           adjustment="SA", steps=2, size=0.001, annual=3, annual_month=2, popularity=90),
    Series("WALCL", "Assets: Total Assets: Total Assets (Less Eliminations from Consolidation): Wednesday Level", 20,
           "W", "week+1", "Millions of U.S. Dollars", "Mil. of U.S. $", date(2002, 12, 18), date(2008, 1, 3),
           6_700_000, 0.03, 0.06, relative=True, decimals=0, popularity=88),
    Series("WTREGEN", "Liabilities and Capital: Liabilities: Deposits with F.R. Banks, Other Than Reserve Balances: "
           "U.S. Treasury, General Account: Week Average", 20, "W", "week+1", "Millions of U.S. Dollars",
           "Mil. of U.S. $", date(2002, 12, 18), date(2008, 1, 3), 650_000, 0.02, 0.35, relative=True, low=10_000,
           decimals=0, popularity=81),
    Series("RRPONTSYD", "Overnight Reverse Repurchase Agreements: Treasury Securities Sold by the Federal Reserve "
           "in the Temporary Open Market Operations", 379, "D", "same", "Billions of US Dollars", "Bil. of US $",
           date(2003, 2, 7), date(2014, 1, 2), 400, swing=0.7, relative=True, low=0.0, decimals=3, popularity=85),
    Series("DTWEXBGS", "Nominal Broad U.S. Dollar Index", 17, "D", "h10", "Index Jan 2006=100", "Index Jan 2006=100",
           date(2006, 1, 2), date(2019, 2, 4), 118, 0.008, 0.05, relative=True, decimals=4, popularity=80),
    Series("DEXUSEU", "U.S. Dollars to Euro Spot Exchange Rate", 17, "D", "h10", "U.S. Dollars to One Euro",
           "U.S. $ to 1 Euro", D2000, BOND, 1.15, swing=0.09, relative=True, decimals=4, popularity=73),
    Series("DCOILWTICO", "Crude Oil Prices: West Texas Intermediate (WTI) - Cushing, Oklahoma", 212, "D",
           "wednesday", "Dollars per Barrel", "$ per Barrel", D2000, BOND, 68, swing=0.25, relative=True,
           withdrawn=0.004, popularity=82),
    Series("SP500", "S&P 500", 219, "D", "same", "Index", "Index", D2000, None, 3_300, 0.1, 0.15, relative=True,
           popularity=91, years=10),
    Series("NASDAQCOM", "NASDAQ Composite Index", 206, "D", "next", "Index Feb 5, 1971=100",
           "Index Feb 5, 1971=100", D2000, date(2012, 1, 3), 9_500, 0.12, 0.2, relative=True, decimals=3,
           popularity=76),
    Series("UMCSENT", "University of Michigan: Consumer Sentiment", 91, "M", "month+28", "Index 1966:Q1=100",
           "Index 1966:Q1=100", M1990, PRICES, 83, swing=0.12, relative=True, decimals=1, popularity=81),
    Series("MORTGAGE30US", "30-Year Fixed Rate Mortgage Average in the United States", 190, "W", "week+0", *PERCENT,
           date(2000, 1, 6), date(2008, 1, 3), 5.2, swing=0.9, low=2.0, popularity=90),
)  # fmt: skip
SERIES: Mapping[str, Series] = {series.id: series for series in _ALL}

FREQUENCIES = {
    "D": ("Daily", "D"),
    "D7": ("Daily, 7-Day", "D"),
    "W": ("Weekly", "W"),
    "M": ("Monthly", "M"),
    "Q": ("Quarterly", "Q"),
}
ADJUSTMENTS = {
    "NSA": "Not Seasonally Adjusted",
    "SA": "Seasonally Adjusted",
    "SAAR": "Seasonally Adjusted Annual Rate",
}
