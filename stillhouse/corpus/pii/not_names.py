"""Capitalised words that are no one's name, though they stand where names do.

A name recogniser takes products, feasts and form words of letters for people. A find that
consists of these words alone is dropped; "Grace Easter" stays. Words that are also common names
("Chase", "May", "Paris") are left out: masking too much loses less than leaking. A project adds
its own through `privacy.allow`.
"""

NOT_NAMES = frozenset(
    """
    a account accounts acrobat admin administration adobe again air airpods all also am amazon
    amex an and android any anyconnect app apple are as asana ask at atlassian august autocad
    autodesk aws azure badge bank be best billing bitlocker bitwarden bluetooth bonus browser
    but by calendar call can card christmas chrome chromebook cisco citrix colleague colleagues
    concur confluence contact copilot customer customers dank danke dear december dell
    department desk diwali docker docusign dropbox easter edge eid error ethernet everybody
    everyone excel exchange expense expensify ext facebook fax february federal figma finance
    firefox folder folks for fortinet friday from fwd gateway github gitlab gmail google gruß
    grüße guys hallo halloween hanukkah have hdmi header hello help helpdesk hey hi hr hubspot i
    if in inbox instagram internet intranet intune invoice ios ipad iphone is it its itunes
    jabra january java jenkins jira july keepass kind kindly kubernetes landlord laptop laserjet
    lastpass latitude legal lenovo license linkedin linux login logistics logitech mac macbook
    macos madam mail maintenance manager many march mastercard max mcafee me meeting microsoft
    mini miro mit mob mobile monday mongodb monitor my netflix netsuite network next no not
    notepad notion november october of office ok okta on onedrive onenote or oracle order our
    outlook pager passover password paypal payroll pentecost photoshop pixel playstation please
    pls plus policy portal powerpoint powershell printer pro production purchasing python
    quality queue quickbooks ramadan reception recruiting regards router ruble safari sales
    salesforce samsung sap saturday security sent september server service servicenow sharepoint
    she shipment sir siri skype slack snowflake so sorry spotify stripe sunday supplier support
    surface tableau team teams teamviewer tel telefon thank thanks thanksgiving that the their
    there they this thursday ticket tiktok to today token tomorrow training trello tuesday
    twitter uber ubuntu ultra update urgent user viele vielen visa vodafone vpn warehouse
    warranty we webex website wechat wednesday weekend whatsapp when whitsun why wifi windows
    with wordpress workday would xbox xero yammer yesterday you your youtube zendesk zoom
    """.split()  # noqa: SIM905
)
