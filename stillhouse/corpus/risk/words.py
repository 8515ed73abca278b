"""Words that quasi-identifiers are told by, in English, German, French, Japanese and Thai."""

from __future__ import annotations

# One a line and language: occupations and offices, as they are said of a person. Those that
# everybody is in a text (customer, user, colleague) are none.
ROLES = """
accountant actor actress architect archbishop astronaut baker barber beekeeper bishop blacksmith
bookkeeper brewer bricklayer butcher cardiologist caretaker carpenter cashier ceo cfo chairman
chairwoman chaplain chef chemist chiropractor confectioner consul coroner cto
councillor curator dancer dean dentist dermatologist detective dietician diver
doctor electrician engineer farmer firefighter fisherman florist forester foreman gardener
geologist
glazier goldsmith governor gynaecologist hairdresser headmaster headmistress headteacher historian
imam jeweller joiner journalist judge juggler lawyer lecturer librarian locksmith
magistrate mason mayor mechanic midwife milkman miner minister musician neurologist notary nun
nurse oncologist optician organist painter paramedic paediatrician pathologist pharmacist
photographer physician physiotherapist pianist plumber poet policeman policewoman postman
priest professor prosecutor psychiatrist psychologist rabbi radiologist receptionist
roofer saddler sailor sculptor secretary senator sergeant sexton shepherd sheriff shoemaker
singer smith solicitor soldier stonemason surgeon surveyor tailor teacher translator treasurer
tutor undertaker urologist veterinarian vicar violinist waiter waitress watchmaker weaver welder
whistleblower winemaker
anwalt anwältin rechtsanwalt rechtsanwältin zahnärztin tierärztin kinderärztin
hausärztin augenärztin frauenärztin oberärztin oberarzt bäuerin landwirtin apotheker architektin
arzt ärztin augenarzt bäcker bestatter bibliothekar bischof
bürgermeister chirurg dachdecker dirigent elektriker feuerwehrmann fleischer fliesenleger
florist förster fotograf frauenarzt friseur gärtner geschäftsführer hausarzt hausmeister hebamme
heilpraktiker imker ingenieur installateur internist journalist juwelier kaminkehrer kantor
kapitän kardiologe kellner kinderarzt klempner koch köchin konditor küster landrat landwirt
lehrer lokführer maler maurer mechaniker metzger minister notar optiker organist
pastor pfarrer physiotherapeut polizist professor psychiater psychologe rabbiner rektor
rentner richter sänger schäfer schauspieler schlosser schmied schneider schornsteinfeger
schreiner schulleiter schuster sekretär soldat staatsanwalt steinmetz steuerberater tänzer
tierarzt tischler töpfer uhrmacher vermesser vorstandsvorsitzender winzer zahnarzt zimmermann
acteur actrice agriculteur apiculteur architecte avocat avocate boucher boulanger boulangère
bibliothécaire bijoutier charpentier chauffeur chirurgien coiffeur coiffeuse comptable concierge
cordonnier couturière cuisinier curé dentiste directeur directrice élagueur électricien
enseignant évêque facteur fleuriste forgeron gendarme horloger infirmier infirmière ingénieur
instituteur institutrice jardinier journaliste juge maçon maire mécanicien médecin menuisier
militaire ministre musicien notaire opticien organiste pasteur pâtissier pêcheur peintre
pharmacien pharmacienne mécanicienne musicienne chirurgienne photographe plombier policier pompier
préfet prêtre procureur proviseur psychiatre
psychologue sculpteur sage-femme secrétaire serrurier vétérinaire vigneron viticulteur
"""
# Two words and more.
ROLE_PHRASES = """
head of department, head of human resources, police officer, prime minister, general practitioner,
works council chair, chief executive, managing director, midwife in training, lighthouse keeper,
leiter der abteilung, vorsitzender des betriebsrats, vorsitzende des betriebsrats,
chef de service, sapeur pompier, sage femme, médecin généraliste
"""
# No spaces part these.
ROLES_UNSPACED = """
医師 医者 歯科医 歯医者 看護師 教師 教授 校長 弁護士 裁判官 検察官 警察官 消防士 市長 町長 村長
知事 社長 専務 常務 部長
課長 薬剤師 助産師 獣医 僧侶 住職 神父 牧師 農家 漁師 大工 料理人 美容師 運転手 税理士 会計士
建築家 記者 作家 画家 歌手
俳優 議員 大臣 駅長 院長 園長 保育士 介護士 司書
แพทย์ ทันตแพทย์ หมอฟัน พยาบาล ครูใหญ่ ผู้อำนวยการ อาจารย์ ทนายความ ผู้พิพากษา อัยการ ตำรวจ
นายกเทศมนตรี ผู้ใหญ่บ้าน กำนัน
เภสัชกร สัตวแพทย์ เจ้าอาวาส วิศวกร สถาปนิก นักข่าว ชาวนา ชาวประมง ช่างตัดผม ผู้จัดการ บรรณารักษ์
นักบัญชี รัฐมนตรี
"""
# Of a Latin word: plurals, and the feminine of German.
ENDINGS = ("s", "es", "in", "innen", "en", "n")

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar jänner janvier janv มกราคม ม.ค.",
            "february feb februar février fév fevrier กุมภาพันธ์ ก.พ.",
            "march mar märz mars มีนาคม มี.ค.",
            "april apr avril avr เมษายน เม.ย.",
            "may mai พฤษภาคม พ.ค.",
            "june jun juni juin มิถุนายน มิ.ย.",
            "july jul juli juillet juil กรกฎาคม ก.ค.",
            "august aug août aout สิงหาคม ส.ค.",
            "september sep sept septembre กันยายน ก.ย.",
            "october oct oktober okt octobre ตุลาคม ต.ค.",
            "november nov novembre พฤศจิกายน พ.ย.",
            "december dec dezember dez décembre déc decembre ธันวาคม ธ.ค.",
        ),
        start=1,
    )
    for name in names.split()
}

# Before the name of a place.
BEFORE_PLACES = {
    *("in", "from", "near", "at", "to", "of", "outside", "around", "via"),
    *("aus", "nach", "bei", "von", "um", "nahe"),
    *("à", "a", "de", "du", "en", "vers", "près"),
}
PLACE_ENDINGS = (
    *("town", "ville", "burg", "burgh", "berg", "stadt", "dorf", "heim", "hausen", "furt", "bach"),
    *("ford", "bury", "borough", "brücken", "walde", "kirchen", "ingen", "shire", "mouth", "haven"),
)
