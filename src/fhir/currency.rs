//! The codes of currencies, present and past. Source: ISO 4217, <https://www.six-group.com/en/products-services/financial-information/data-standards.html>.

/// Sorted.
const CODES: &str = "\
    ADP AED AFA AFN ALK ALL AMD ANG AOA AOK AON AOR ARA ARL ARM ARP ARS ATS AUD AWG AYM AZM AZN BAD BAM \
    BBD BDT BEC BEF BEL BGJ BGK BGL BGN BHD BIF BMD BND BOB BOP BOV BRB BRC BRE BRL BRN BRR BSD BTN BUK \
    BWP BYB BYN BYR BZD CAD CDF CHC CHE CHF CHW CLF CLP CNX CNY COP COU CRC CSD CSJ CSK CUC CUP CVE CYP \
    CZK DDM DEM DJF DKK DOP DZD ECS ECV EEK EGP ERN ESA ESB ESP ETB EUR FIM FJD FKP FRF GBP GEK GEL GHC \
    GHS GIP GMD GNE GNF GNS GQE GRD GTQ GWE GWP GYD HKD HNL HRD HRK HTG HUF IDR IEP ILP ILR ILS INR IQD \
    IRR ISJ ISK ITL JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAJ LAK LBP LKR LRD LSL LSM LTL LTT \
    LUC LUF LUL LVL LVR LYD MAD MAF MDL MGA MGF MKD MLF MMK MNT MOP MRO MRU MTL MTP MUR MVQ MVR MWK MXN \
    MXP MXV MYR MZE MZM MZN NAD NGN NIC NIO NLG NOK NPR NZD OMR PAB PEH PEI PEN PES PGK PHP PKR PLN PLZ \
    PTE PYG QAR RHD ROK ROL RON RSD RUB RUR RWF SAR SBD SCR SDD SDG SDP SEK SGD SHP SIT SKK SLE SLL SOS \
    SRD SRG SSP STD STN SUR SVC SYP SZL THB TJR TJS TLE TMM TMT TND TOP TPE TRL TRY TTD TWD TZS UAH UAK \
    UGS UGW UGX USD USN UYI UYN UYP UYU UYW UZS VEB VED VEF VES VNC VND VUV WST XAD XAF XAG XAU XBA XBB \
    XBC XBD XCD XCG XDR XEU XFO XFU XOF XPD XPF XPT XRE XSU XTS XUA XXX YDD YER YUD YUM YUN YUS ZAL ZAR \
    ZMK ZMW ZRN ZRZ ZWC ZWD ZWG ZWL ZWN ZWR";

/// The code is or was one of ISO 4217.
pub fn is_valid(code: &str) -> bool {
    code.len() == 3 && CODES.split_ascii_whitespace().any(|known| known == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn present_and_past_currencies_are_known() {
        for good in ["EUR", "USD", "NLG", "HRK", "XXX", "ZWG"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "EU", "eur", "EURO", "ZZZ", "EUR "] {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn the_list_is_sorted() {
        assert!(CODES.split_ascii_whitespace().is_sorted());
        assert!(CODES.split_ascii_whitespace().all(|code| code.len() == 3));
    }
}
