"""Capitalised words that are no one's name, though they stand where names do.

A name recogniser takes products, feasts and form words of letters for people. A find that
consists of these words alone is dropped; "Grace Easter" stays. Words that are also common names
("Chase", "May", "Paris") are left out: masking too much loses less than leaking. A project adds
its own through `privacy.allow`.
"""

NOT_NAMES = frozenset(
    """
    a account accounts acrobat address adresse bin ich je mein mit mon freundlichen grüßen
    herzliche herzlichen head good forget instead bonjour hola merci gracias
    anschrift cheers field herr home frau inhaber kundenkonto madame monsieur
    señor señora signor signora spett
    admin administration adobe again air airpods all also am amazon
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
    article attached clerk conditions damaged defective delivery description details
    discount due euros evening final gross guide internal item items lading missing morning
    names net notice number only paid payable payment purchase quantity question re received
    refund reminder reply report request returned safety said scope shaft shipping signed subject
    subtotal terms total unpaid urgently warning weight wishes wrong
    with wordpress workday would xbox xero yammer yesterday you your youtube zendesk zoom
    """.casefold().split()
)

# Read as acronyms when written in capitals, though a person may be called Max or Ida.
ACRONYMS = frozenset(
    """
    aes api atex aws b2b b2c bcc bios bom byod cad cc ccy ceo cfo cio cnc co2 cpu crm csv ctrl cto
    dba dhcp dns docx dpo ec2 edi eod erp esd eta etc eta eu eur exe faq fyi gb gbp gdpr gmbh gmt
    gps gpu gui hd hdd hdmi hr html http https iban ics id imap iot ip iso isp it json kb kpi kyc
    lan lcd led ltd mb mdm mfa mp3 mp4 ms nas nda ndt nfc ocr oem ok os otp pc pcb pdf pdp pfas pin
    plc pli plm pm po poc pos ppe pptx psu pto qa qr qty ram rca reach rfid rfq rma rohs ros rsvp
    saas sap sdk sepa sftp sku sla smb sms smtp so sop sos sow sql ssd ssh ssid ssl sso swift tbd
    tcp tls tpm tv uat uk uat unc ups uri url us usa usb usd utc vat vga vip vlan vm voip vpn wan
    wfh wip wlan wms www xls xlsx xml yaml zip
    """.split()  # noqa: SIM905
)
